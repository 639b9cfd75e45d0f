"""Language models on this machine: finding, loading, asking and training them."""
