"""What keeps the house in order: set-up before any environment exists, assets, and the AST rules. Imported by nothing."""
