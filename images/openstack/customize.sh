#!/bin/sh
# Runs inside the new root file system, after the packages were installed.
set -eu
