/* weather.c: a bad wire, for tests. `weather`, on TC's way in of the router's ports, loses, doubles
 * or delays packets of the data's ways; `released`, behind weather.py's relay, puts the delayed
 * ones back. Which, is drawn from a seed and the packet's number on its CPU. */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/pkt_cls.h>
#include <uapi/linux/udp.h>

/* skb->mark: whether it has met its fate, how many had passed its port by then, and the port. */
#define FATED	    (1U << 31)
#define ORDER_SHIFT 12
#define ORDER_MASK  ((1U << 19) - 1)
#define PORT_MASK   ((1U << ORDER_SHIFT) - 1)

/* Written by weather.py. `share`: of each fate, in 1/65536. */
struct settings {
	u64 seed;
	u32 share;
	u32 relay; /* the device that delayed packets leave by */
};

/* Read by weather.py, in this order. */
struct tally {
	u64 seen;
	u64 lost;
	u64 doubled;
	u64 delayed;
	u64 released;
	u64 overtaken; /* of the released: others of the port have passed meanwhile */
};

/* weather.py finds the first two by their types. */
BPF_ARRAY(settings, struct settings, 1);
BPF_PERCPU_ARRAY(tallies, struct tally, 1);
BPF_HASH(passed, u32, u64, 64);

/* HTTP, the endpoint of echo_upgraded.py, and VXLAN; nothing that the region is governed by. */
static __always_inline int is_data(struct __sk_buff *skb)
{
	struct udphdr ports; /* where TCP has them too */
	struct iphdr ip;
	u16 source, dest;

	if (skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + ip.ihl * 4, &ports, sizeof(ports)))
		return 0;
	source = bpf_ntohs(ports.source);
	dest = bpf_ntohs(ports.dest);
	if (ip.protocol == IPPROTO_UDP)
		return dest == 4789;
	return ip.protocol == IPPROTO_TCP &&
	       (source == 80 || dest == 80 || source == 9000 || dest == 9000);
}

/* splitmix64 */
static __always_inline u32 drawn(u64 seed, u64 number)
{
	u64 x = seed + (number << 8 | bpf_get_smp_processor_id()) * 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (x ^ x >> 31) & 0xffff;
}

int weather(struct __sk_buff *skb)
{
	u32 zero = 0, port = skb->ifindex, share, draw;
	struct settings *now = settings.lookup(&zero);
	struct tally *tally = tallies.lookup(&zero);
	u64 none = 0, *before;

	if (!now || !tally || !now->share || skb->mark & FATED || !is_data(skb))
		return TC_ACT_UNSPEC;
	before = passed.lookup_or_try_init(&port, &none);
	if (!before)
		return TC_ACT_UNSPEC;
	share = now->share;
	draw = drawn(now->seed, tally->seen++);
	if (draw < share) {
		tally->lost++;
		return TC_ACT_SHOT;
	}
	if (draw < 2 * share) {
		tally->delayed++;
		skb->mark = FATED | (*before & ORDER_MASK) << ORDER_SHIFT | (port & PORT_MASK);
		return bpf_redirect(now->relay, 0);
	}
	lock_xadd(before, 1);
	if (draw < 3 * share) {
		/* The mark keeps the clone from a fate of its own; no packet leaves a machine with
		 * it. */
		skb->mark = FATED;
		if (!bpf_clone_redirect(skb, port, BPF_F_INGRESS))
			tally->doubled++;
	}
	return TC_ACT_UNSPEC;
}

int released(struct __sk_buff *skb)
{
	u32 zero = 0, port = skb->mark & PORT_MASK, order = skb->mark >> ORDER_SHIFT & ORDER_MASK;
	struct tally *tally = tallies.lookup(&zero);
	u64 *now = passed.lookup(&port);

	if (!tally || !now || !(skb->mark & FATED))
		return TC_ACT_SHOT;
	tally->released++;
	if ((*now & ORDER_MASK) != order)
		tally->overtaken++;
	return bpf_redirect(port, BPF_F_INGRESS);
}
