"""Reports: drafted from the library, written as JSON, CSV or one HTML page. Changes nothing it reports on."""
