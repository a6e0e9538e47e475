"""Reports: a run as one document, its page, and figures."""
