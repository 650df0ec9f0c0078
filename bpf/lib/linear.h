/* linear.h: bytes of a packet that are read and written where they are, on TC as on XDP. */
#ifndef UNILB_LINEAR_H
#define UNILB_LINEAR_H

#include <uapi/linux/bpf.h>
#include <uapi/asm-generic/errno-base.h>
#include "abi.h"

#ifdef UNILB_XDP
typedef struct xdp_md ctx_t;
#else
typedef struct __sk_buff ctx_t;
#endif

#define CTX_LINEAR_MAX 0xfff

/* Where the packet begins and ends now. As assembler: clang would keep the address of the field,
 * and the verifier reads a context by its own address only. */
static __always_inline void *ctx_data(ctx_t *ctx)
{
	void *data;

	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(data) : "r"(ctx), "i"(offsetof(ctx_t, data)));
	return data;
}

static __always_inline void *ctx_data_end(ctx_t *ctx)
{
	void *data_end;

	asm volatile("%0 = *(u32 *)(%1 + %2)"
		     : "=r"(data_end)
		     : "r"(ctx), "i"(offsetof(ctx_t, data_end)));
	return data_end;
}

/* Returns where the `len` bytes at `at` are, or NULL when the linear part does not hold them. */
static __always_inline void *ctx_linear(ctx_t *ctx, u64 at, u32 len)
{
	void *data_end = ctx_data_end(ctx);
	void *place = ctx_data(ctx);

	if (at > CTX_LINEAR_MAX)
		return 0;
	/* clang adds before it compares, or compares another copy: the verifier has to see the
	 * bound on what is added, and the end on what is read. */
	asm volatile("" : "+r"(at));
	place += at & CTX_LINEAR_MAX;
	asm volatile("" : "+r"(place));
	return place + len > data_end ? 0 : place;
}

static __always_inline void ctx_copy(void *to, const void *from, u32 len)
{
	if (len == 1)
		*(u8 *)to = *(const u8 *)from;
	else if (len == 2)
		*(u16 *)to = *(const u16 *)from;
	else
		for (int i = 0; i < 16; i++)
			if (i < len / 4)
				((u32 *)to)[i] = ((const u32 *)from)[i];
}

/* Header bytes, of a length known when it is compiled, that the parser has seen or that were just
 * pushed: they are linear, and read and written where they are, as a helper's call costs ten times
 * as much. No checksum but those in the packet changes, which is why the bytes must balance. */
static __always_inline int ctx_header_load(ctx_t *ctx, u32 at, void *to, u32 len)
{
	void *place = ctx_linear(ctx, at, len);

	if (!place)
		return -EFAULT;
	ctx_copy(to, place, len);
	return 0;
}

static __always_inline int ctx_header_store(ctx_t *ctx, u32 at, const void *from, u32 len)
{
	void *place = ctx_linear(ctx, at, len);

	if (!place)
		return -EFAULT;
	ctx_copy(place, from, len);
	return 0;
}

#endif
