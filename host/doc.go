// Package host runs one node (node.Node) as a real process: TCP between nodes,
// HTTP and JSON for clients and control, a file for the disk, the machine's
// clock. It is what a container runs; it knows nothing of containers.
//
// # Stopping, dying, losing power
//
// Run returns nil after SIGTERM (the caller ends ctx) or POST /stop: the step
// in progress is finished, all its effects performed. SIGKILL keeps whatever
// the node had written, as a page cache does. A power loss also takes back
// what was not synced: POST /power enacts it at once, between two effects, and
// Run returns ErrPowerLost. Where the process cannot answer, because it is
// paused or dead, kill it and create the file "power" in Config.Dir: the next
// boot takes back the unsynced writes and removes the file. ExitCode turns what
// Run returned into an exit status.
//
// # Files in Config.Dir
//
//	disk.log       the node's disk; log.go has the format
//	records.jsonl  what the node recorded: {"lamport":N,"f":…,"value":…} a line.
//	               Beside the node's own records, which Role and Record make:
//	               role {"role":…,"term":…}, panic {"error":…,"stack":[…]},
//	               sent {"messages":100} whenever it has sent so many, and
//	               answered-twice, answered-unasked {"request":…,"type":…} and
//	               livelock {"handler":…,"times":…} if it breaks the contract.
//	               Only complete lines count; the boot after a SIGKILL cuts off
//	               a last line without its end.
//	life           number of boots so far, in decimal
//	clock.json     clock faults in force: they outlive the process, as they
//	               would on a machine whose clock is wrong
//	power          exists: power was lost while the process could not say so
//	lock           held by the running process
//
// # Links
//
// A connection between nodes carries messages one way only, from who dialed to
// who listens at the peer port. So to cut the messages from n1 to n2 and no
// others, drop at n2 the packets from n1 with n2's peer port as destination:
// acknowledgements of messages from n2 to n1 come from n1's peer port and pass.
// A link whose packets are dropped gives up after 2 s and dials anew four times
// a second, so it works again a fraction of a second after a heal.
//
// # HTTP
//
// All requests and answers are JSON; an error is {"error":"…"} with a status of
// 400 or more. Times are nanoseconds, settings of durations are written "1.5s".
// All but /op are answered whatever the node is busy with. Clients may ask for
// /op and /health; all else is control, and refused (403) to who does not call at
// a loopback address: in a container that is who shares its network namespace.
//
// POST /op {"f":"write","key":"x","value":1} is a client's operation; key and
// value may be absent, and "lamport" carries the sender's Lamport time.
//
//	200 {"type":"ok","value":…,"lamport":N}     and the answer's further fields
//	200 {"type":"fail","error":"…","lamport":N} it did not and never will happen
//	400                                         it was not understood, and not begun
//	504                                         no answer within Config.AnswerTimeout
//	connection closed                           the node stopped or died
//
// In the last two cases the operation may or may not have taken effect, or
// take effect later. Keep-alive connections do not outlive the process: a
// client drops its idle ones when a node dies, or its next operation fails on
// one for nothing.
//
// GET /health is {"id","life","ready","role","term","now","wall","uptime",
// "lamport","counters":{…}}; ready once the node has booted. The counters are
// of this life: steps, timers, records, requests, answers, answers_unclaimed
// (their client was gone), frames_sent, frames_dropped (queue full, connection
// lost), frames_rejected (they did not decode), messages_received,
// messages_overflowed (to itself, with the inbox full), disk_bytes, disk_keys,
// disk_syncs, disk_compactions. GET /role is {"role","term"}.
//
// GET /clock is {"now","wall","true_wall","offset","drifted","rate","leases"}:
// the node's two clocks and the machine's, all read at one instant; offset is
// wall - true_wall, of which drifted is what drift has left behind (it stays
// after the cure: a clock that ran fast is ahead); rate is how fast the clocks
// run now, 1 being right. Leases are the faults in force, each
//
//	{"id":"clock-1","shape":"jump","offset":"-2s"}
//	{"id":"clock-2","shape":"strobe","offset":"200ms","period":"50ms"}
//	{"id":"clock-3","shape":"drift","drift":0.1}
//
// POST /clock with one of these adds it to the union in force, or replaces the
// one of that id; DELETE /clock?id=clock-1 ends it (DELETE /clock: all); PUT
// /clock {"leases":[…]} puts exactly these into force, as after a restart.
// Each answers as GET does.
//
// POST /power loses power: {"kept":N,"lost":N,"torn":B} tells how many of the
// unsynced batches of writes survive; 409 says that the node ended otherwise
// before that, and none are lost. POST /stop stops: {"stopped":true}.
//
// GET /peers/n2/ping?timeout=1s sends a ping over the link to n2 and waits for
// the pong, which comes back over n2's own link: {"to","pong":true,"rtt":N}, or
// {"to","pong":false} when none came in time. The nodes take no part in it,
// but one behind by 4096 messages holds up its links. To see one direction alone, POST
// /probe {"to":"n2","nonce":"abc"} at n1 sends a nonce once ({"sent":true}),
// and GET /probes?from=n1 at n2 is {"probes":[{"from","nonce","lamport"}…]},
// the last that arrived, oldest first. A probe that was held up may arrive
// after a heal, so use each nonce once. GET /peers lists the links:
// {"peers":[{"id","connected","queued"}…]}.
//
// GET /records?from=N is the bytes of records.jsonl from offset N; with
// wait=1s it waits so long for there to be any. It ends after a whole line.
package host
