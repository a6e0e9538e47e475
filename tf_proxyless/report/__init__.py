"""Pictures of results, from files and numbers; imports none of our other rooms."""
