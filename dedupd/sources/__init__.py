"""Where pictures come from: listing directories, and hints about which of them changed."""
