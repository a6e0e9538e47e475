"""Pictures as SVG text, for pages, figures and animations alike."""
