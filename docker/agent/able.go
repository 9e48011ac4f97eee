//go:build linux

package agent

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// able tells what this kernel and these capabilities allow: each ability, and
// why not. It tries; what it installs is gone when it returns, and does not
// touch the rules in force.
func (u *ruler) able() map[string]string {
	u.mu.Lock()
	defer u.mu.Unlock()
	why := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	queueErr := tryRule(u.queueing()(queueIn))
	if queueErr == nil && u.in == nil {
		u.in, queueErr = openQueue(queueIn)
	}
	return map[string]string{
		AbleFilter:    why(tryRule(verdict(expr.VerdictDrop)...)),
		AbleLoss:      why(tryRule(chance(0.5)...)),
		AbleDuplicate: why(tryRule(&expr.Immediate{Register: 1, Data: []byte{127, 0, 0, 1}}, &expr.Dup{RegAddr: 1})),
		AbleQueue:     why(queueErr),
	}
}

// tryRule installs a rule of these expressions where no packet comes by, and
// removes it.
func tryRule(exprs ...expr.Any) error {
	s, err := begin(tableName + "-try")
	if err != nil {
		return err
	}
	s.conn.AddTable(s.table)
	in := s.hook("in", nftables.ChainHookInput)
	idle := s.conn.AddChain(&nftables.Chain{Name: "idle", Table: s.table})
	// xtables' targets are accepted only in chains that hang on a hook.
	s.add(in, protocol(255), jump(idle))
	s.add(idle, exprs)
	s.conn.DelTable(s.table)
	return s.conn.Flush()
}
