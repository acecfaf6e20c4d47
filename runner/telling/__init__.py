"""What people and programs are told: terminal, reports, pages, history, differences."""
