"""The job `verify`: every statement checked on one data set, as rows."""
