"""What earlier versions wrote and said, which every later one has to understand; and daemons of other versions."""
