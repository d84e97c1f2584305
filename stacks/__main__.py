"""What plain `pulumi preview` and `pulumi up` run."""

from stacks.program import main

main()
