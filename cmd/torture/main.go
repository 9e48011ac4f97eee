// Command torture breaks distributed systems on purpose, and judges what they
// did meanwhile.
package main

import "os"

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }
