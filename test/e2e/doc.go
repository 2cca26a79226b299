// Package e2e runs real programs as a user would, in a sandbox over this machine's own
// root (runsc do) and from OCI bundles, and compares output and exit code with a native
// run of the same script in an equivalent place: namespaces of its own and a root whose
// changes stay in memory.
//
// A case is a script in programs/. Comment lines at its head say what the harness must
// know: "# timeout: 90s" bounds one run (default 5m), "# normalize: sort digits" names
// the changes made to both outputs before they are compared, "# exit: 3" is the expected
// native exit code (default 0). "# alone" keeps a case from running beside others.
//
// interactive_test.go types into terminals; its steps must hold natively too.
//
// known-failures.txt names what differs today (case, reason); a case that is listed there
// and passes fails the test.
package e2e
