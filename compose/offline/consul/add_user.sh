#!/bin/sh
# The user of hashicorp/consul (uid 100, gid 1000) and its directories.
set -eu
groupadd --gid 1000 consul
useradd --system --uid 100 --gid consul --no-create-home --home-dir /home/consul consul
mkdir -p /consul/data /consul/config
chown -R consul:consul /consul
