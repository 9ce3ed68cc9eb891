#!/bin/sh
# Installs the packages of the folder $1 with all that they need, and makes a user without rights to run them.
# A step of the Containerfile, and of `cargo xtask package --check`; as root.
set -eu

export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y "$1"/*.deb
rm -rf /var/lib/apt/lists/*
useradd --create-home --shell /usr/sbin/nologin lipsync
