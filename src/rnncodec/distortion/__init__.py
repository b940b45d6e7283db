"""What the quality of a picture is: measures of it, and the losses made of them."""
