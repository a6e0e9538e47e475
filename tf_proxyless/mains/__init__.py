"""Parts of mains: they put the rooms' parts together for the commands. Only mains import them."""
