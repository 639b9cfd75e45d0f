"""From records to means, intervals and differences."""
