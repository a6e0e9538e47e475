"""The only place that makes Keras layers: supernets with gates, and plain networks, from the same specs."""
