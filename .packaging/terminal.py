"""Where the terminal starts in a bundle."""

from multiprocessing import freeze_support

freeze_support()  # a worker process ends in there
from hermes_rescue.core.__main__ import main  # noqa: E402  # a worker does not load it

main()
