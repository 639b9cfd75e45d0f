"""Settings, components by name, and what may not stand in a configuration."""
