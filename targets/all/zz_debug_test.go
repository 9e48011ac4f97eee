package all
import ("testing";"flag";"github.com/torture-harness/torture/histories";"github.com/torture-harness/torture/run")
var dseed = flag.Uint64("dseed",0,"")
var dt = flag.String("dt","total","")
var dw = flag.String("dw","","")
func TestZZ(t *testing.T){
 if *dseed==0 {t.Skip()}
 tg,_:=Named(*dt)
 p:=tg.Promises[0]
 if *dw!="" { for _,q:=range tg.Promises { if q.Workload==*dw {p=q;break} } }
 h,r:=simulate(t,tg,run.Swarm(histories.Manifest{Seed:*dseed,Workload:p.Workload,Flags:p.When,Nemesis:names(p.Under)}))
 t.Log(r.Verdict, anomalies(r))
 if err:=histories.WriteFile("/tmp/prim/h.jsonl",h);err!=nil{t.Fatal(err)}
}
