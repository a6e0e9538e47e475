"""The document as figures and animations."""
