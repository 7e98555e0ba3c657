"""Help of commands: panels of options, what is shown, and answers to options that there are not."""
