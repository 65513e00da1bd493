-- Rendered by tools/render_deployment.py from what the services declare: do not edit.
-- One database and two roles for each service: the owner migrates, the other one works.
\set ON_ERROR_STOP on
\set customer_contract `cat /run/secrets/database-customer-contract`
\set customer_contract_owner `cat /run/secrets/database-owner-customer-contract`
\set project_provisioning `cat /run/secrets/database-project-provisioning`
\set project_provisioning_owner `cat /run/secrets/database-owner-project-provisioning`
\set billing_event `cat /run/secrets/database-billing-event`
\set billing_event_owner `cat /run/secrets/database-owner-billing-event`
\set invoice_payment `cat /run/secrets/database-invoice-payment`
\set invoice_payment_owner `cat /run/secrets/database-owner-invoice-payment`
\set reporting `cat /run/secrets/database-reporting`
\set reporting_owner `cat /run/secrets/database-owner-reporting`
\set connectors `cat /run/secrets/database-connectors`
\set connectors_owner `cat /run/secrets/database-owner-connectors`

REVOKE ALL ON DATABASE "postgres" FROM PUBLIC;
REVOKE ALL ON DATABASE "template1" FROM PUBLIC;
CREATE ROLE "customer_contract_owner" LOGIN;
ALTER ROLE "customer_contract_owner" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'customer_contract_owner';
CREATE ROLE "customer_contract" LOGIN;
ALTER ROLE "customer_contract" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'customer_contract';
ALTER ROLE "customer_contract" SET statement_timeout = '5s';
ALTER ROLE "customer_contract" SET lock_timeout = '2s';
ALTER ROLE "customer_contract" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE "customer_contract" CONNECTION LIMIT 32;
CREATE DATABASE "customer_contract" OWNER "customer_contract_owner" TEMPLATE "template1" STRATEGY FILE_COPY;
REVOKE ALL ON DATABASE "customer_contract" FROM PUBLIC;
GRANT CONNECT ON DATABASE "customer_contract" TO "customer_contract";
CREATE ROLE "project_provisioning_owner" LOGIN;
ALTER ROLE "project_provisioning_owner" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'project_provisioning_owner';
CREATE ROLE "project_provisioning" LOGIN;
ALTER ROLE "project_provisioning" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'project_provisioning';
ALTER ROLE "project_provisioning" SET statement_timeout = '5s';
ALTER ROLE "project_provisioning" SET lock_timeout = '2s';
ALTER ROLE "project_provisioning" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE "project_provisioning" CONNECTION LIMIT 32;
CREATE DATABASE "project_provisioning" OWNER "project_provisioning_owner" TEMPLATE "template1" STRATEGY FILE_COPY;
REVOKE ALL ON DATABASE "project_provisioning" FROM PUBLIC;
GRANT CONNECT ON DATABASE "project_provisioning" TO "project_provisioning";
CREATE ROLE "billing_event_owner" LOGIN;
ALTER ROLE "billing_event_owner" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'billing_event_owner';
CREATE ROLE "billing_event" LOGIN;
ALTER ROLE "billing_event" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'billing_event';
ALTER ROLE "billing_event" SET statement_timeout = '5s';
ALTER ROLE "billing_event" SET lock_timeout = '2s';
ALTER ROLE "billing_event" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE "billing_event" CONNECTION LIMIT 32;
CREATE DATABASE "billing_event" OWNER "billing_event_owner" TEMPLATE "template1" STRATEGY FILE_COPY;
REVOKE ALL ON DATABASE "billing_event" FROM PUBLIC;
GRANT CONNECT ON DATABASE "billing_event" TO "billing_event";
CREATE ROLE "invoice_payment_owner" LOGIN;
ALTER ROLE "invoice_payment_owner" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'invoice_payment_owner';
CREATE ROLE "invoice_payment" LOGIN;
ALTER ROLE "invoice_payment" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'invoice_payment';
ALTER ROLE "invoice_payment" SET statement_timeout = '5s';
ALTER ROLE "invoice_payment" SET lock_timeout = '2s';
ALTER ROLE "invoice_payment" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE "invoice_payment" CONNECTION LIMIT 32;
CREATE DATABASE "invoice_payment" OWNER "invoice_payment_owner" TEMPLATE "template1" STRATEGY FILE_COPY;
REVOKE ALL ON DATABASE "invoice_payment" FROM PUBLIC;
GRANT CONNECT ON DATABASE "invoice_payment" TO "invoice_payment";
CREATE ROLE "reporting_owner" LOGIN;
ALTER ROLE "reporting_owner" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'reporting_owner';
CREATE ROLE "reporting" LOGIN;
ALTER ROLE "reporting" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'reporting';
ALTER ROLE "reporting" SET statement_timeout = '5s';
ALTER ROLE "reporting" SET lock_timeout = '2s';
ALTER ROLE "reporting" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE "reporting" CONNECTION LIMIT 32;
CREATE DATABASE "reporting" OWNER "reporting_owner" TEMPLATE "template1" STRATEGY FILE_COPY;
REVOKE ALL ON DATABASE "reporting" FROM PUBLIC;
GRANT CONNECT ON DATABASE "reporting" TO "reporting";
CREATE ROLE "connectors_owner" LOGIN;
ALTER ROLE "connectors_owner" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'connectors_owner';
CREATE ROLE "connectors" LOGIN;
ALTER ROLE "connectors" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'connectors';
ALTER ROLE "connectors" SET statement_timeout = '5s';
ALTER ROLE "connectors" SET lock_timeout = '2s';
ALTER ROLE "connectors" SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE "connectors" CONNECTION LIMIT 32;
CREATE DATABASE "connectors" OWNER "connectors_owner" TEMPLATE "template1" STRATEGY FILE_COPY;
REVOKE ALL ON DATABASE "connectors" FROM PUBLIC;
GRANT CONNECT ON DATABASE "connectors" TO "connectors";
