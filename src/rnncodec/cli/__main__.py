from rnncodec.cli import main

main()
