// Command torture breaks distributed systems on purpose, and judges what they
// did meanwhile.
package main

import "os"

func main() {
	os.Exit(supervised(os.Args[1:], func(line *lifeline) int { return (&app{args: os.Args[1:]}).executeAlone(line) }))
}
