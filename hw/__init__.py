"""What is built: integer graph, schedule, RTL, and the instruments that measure it."""
