#!/bin/sh
# Makes the fleet's role and its database, in a server without data: PostgreSQL's image runs this file once.
#
# The role owns the database, so that it may create tables, and is no superuser: PostgreSQL keeps accounts apart by
# row-level security, which superusers pass by.
set -eu
: "${OWNER_PASSWORD_FILE:=/run/secrets/owner_password}"
export OWNER_PASSWORD_FILE
# psql reads the password itself: an argument would be seen in the list of processes.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\set password `cat "$OWNER_PASSWORD_FILE"`
CREATE ROLE oplead LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE oplead OWNER oplead ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE oplead FROM PUBLIC;
SQL
