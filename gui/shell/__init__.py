"""The window itself: what it is doing, its menus and bars, the store that it shows."""
