"""The bytes of an ``.rnnc`` file ↔ its header, layers and metadata, as docs/FORMAT.md specifies. Needs no torch."""
