"""What operators manage: rules without HTTP."""
