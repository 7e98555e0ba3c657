"""Commands of framecast that die, or meet an error, at the n-th system call that changes a file."""
