package raft

import (
	"fmt"

	etcd "go.etcd.io/raft/v3"
)

// silent is a logger that keeps nothing: nodes do not log, worlds trace their
// effects. What raft holds impossible panics, and so crashes the node.
type silent struct{}

var _ etcd.Logger = silent{}

func (silent) Debug(...any)            {}
func (silent) Debugf(string, ...any)   {}
func (silent) Info(...any)             {}
func (silent) Infof(string, ...any)    {}
func (silent) Warning(...any)          {}
func (silent) Warningf(string, ...any) {}
func (silent) Error(...any)            {}
func (silent) Errorf(string, ...any)   {}

func (silent) Fatal(v ...any)                 { panic("raft: " + fmt.Sprint(v...)) }
func (silent) Fatalf(format string, v ...any) { panic("raft: " + fmt.Sprintf(format, v...)) }
func (silent) Panic(v ...any)                 { panic("raft: " + fmt.Sprint(v...)) }
func (silent) Panicf(format string, v ...any) { panic("raft: " + fmt.Sprintf(format, v...)) }
