"""The whole way through an account, once, with a report: does what is promised hold there?"""
