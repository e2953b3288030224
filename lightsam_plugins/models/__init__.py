"""The architectures, one file a family; the registry names their builders."""
