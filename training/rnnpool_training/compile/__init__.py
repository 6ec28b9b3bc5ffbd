"""From networks of elsewhere to a blob's integer graph."""
