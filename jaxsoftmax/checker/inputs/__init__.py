"""What is given to a check: arguments, rules, budget, and the program traced from them."""
