"""What commands show: pure functions from facts to tables and documents."""
