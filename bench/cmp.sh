deno task bench --json --runs 2 --paths vxlan,udp-ebpf-xdp,udp-ebpf-gro,udp-tun --modes software --figures tcp,tcp8,rr,udp,udp-segment 2>&1 | grep -A60 'as multiples' | grep -v '^{' 
