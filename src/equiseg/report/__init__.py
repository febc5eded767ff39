"""What a comparison shows: colours, figures, and one page that holds them."""
