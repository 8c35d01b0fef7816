#include "textflag.h"

// AMX's instructions, which Go's assembler does not know, as the bytes that they
// are. Tiles 0 to 3 are C's (0 and 1 its upper rows), 4 and 5 A's, 6 and 7 B's.
// A's rows begin at SI and DI, AX bytes apart, B's at BX and DX, CX bytes apart.

#define CONFIGURE    LONG $0x4978c2c4; BYTE $0x01   // LDTILECFG (R9)
#define TILERELEASE  LONG $0x4978e2c4; BYTE $0xc0
#define ZERO0        LONG $0x497be2c4; BYTE $0xc0
#define ZERO1        LONG $0x497be2c4; BYTE $0xc8
#define ZERO2        LONG $0x497be2c4; BYTE $0xd0
#define ZERO3        LONG $0x497be2c4; BYTE $0xd8
#define LOAD_A0      LONG $0x4b7be2c4; WORD $0x0624 // TILELOADD (SI)(AX*1), TMM4
#define LOAD_A1      LONG $0x4b7be2c4; WORD $0x072c // TILELOADD (DI)(AX*1), TMM5
#define LOAD_B0      LONG $0x4b7be2c4; WORD $0x0b34 // TILELOADD (BX)(CX*1), TMM6
#define LOAD_B1      LONG $0x4b7be2c4; WORD $0x0a3c // TILELOADD (DX)(CX*1), TMM7
#define DOT00        LONG $0x5c4ae2c4; BYTE $0xc4   // TDPBF16PS TMM6, TMM4, TMM0
#define DOT01        LONG $0x5c42e2c4; BYTE $0xcc   // TDPBF16PS TMM7, TMM4, TMM1
#define DOT10        LONG $0x5c4ae2c4; BYTE $0xd5   // TDPBF16PS TMM6, TMM5, TMM2
#define DOT11        LONG $0x5c42e2c4; BYTE $0xdd   // TDPBF16PS TMM7, TMM5, TMM3
#define STORE0       LONG $0x4b7ae2c4; WORD $0x0604 // TILESTORED TMM0, (SI)(AX*1)
#define STORE1       LONG $0x4b7ae2c4; WORD $0x070c // TILESTORED TMM1, (DI)(AX*1)
#define STORE2       LONG $0x4b7ae2c4; WORD $0x0614 // TILESTORED TMM2, (SI)(AX*1)
#define STORE3       LONG $0x4b7ae2c4; WORD $0x071c // TILESTORED TMM3, (DI)(AX*1)

// Fields of tileArgs.
#define A_A          0(R8)
#define A_B          8(R8)
#define A_C          16(R8)
#define A_BIAS       24(R8)
#define A_SEGS       32(R8)
#define A_NSEGS      40(R8)
#define A_RS         56(R8)
#define A_BS         72(R8)
#define A_CS         80(R8)
#define A_ALPHA      104(R8)
#define A_BETA       108(R8)
#define A_ACCUMULATE 112(R8)
#define A_MASK       120(R8)
#define A_ROWS       124(R8)
#define A_CONFIG     128(R8)
#define A_STEP       136(R8)
#define A_STEPS      144(R8)
#define A_PANELS     152(R8)
#define A_PANEL      160(R8)

// SEGMENTS goes over the segments of A: for each, STEPS of 16 words or fewer of
// the instructions between. R9 and R10 are what A and B advance by a step.
#define SEGMENTS(segment, step, LOADS) \
	MOVQ A_SEGS, R12                 \
	MOVQ A_NSEGS, R13                \
segment:                             \
	MOVQ (R12), SI                   \
	ADDQ A_A, SI                     \
	LEAQ (SI)(R11*1), DI             \
	MOVQ A_STEPS, R14                \
step:                                \
	LOADS                            \
	ADDQ R9, SI                      \
	ADDQ R9, DI                      \
	ADDQ R10, BX                     \
	ADDQ R10, DX                     \
	DECQ R14                         \
	JNZ  step                        \
	ADDQ $8, R12                     \
	DECQ R13                         \
	JNZ  segment

// func amxTiles(t *tileArgs)
//
// computes a row of tiles, as many panels as there are, of at most 32 rows; see tileArgs.
// Products are stored where they belong if that is all, else to the frame, from
// where rows of C are made.
TEXT ·amxTiles(SB), 0, $4128-8
	MOVQ t+0(FP), R8
	MOVQ A_CONFIG, R9
	CONFIGURE
	MOVQ A_PANELS, AX
	MOVQ AX, panels-8(SP)
	MOVQ A_B, AX
	MOVQ AX, b-16(SP)
	MOVQ A_C, AX
	MOVQ AX, c-24(SP)
	MOVQ A_BIAS, AX
	MOVQ AX, bias-32(SP)
	KXNORW K1, K1, K1
	KXNORW K2, K2, K2

panel:
	CMPQ  panels-8(SP), $1
	JNE   whole
	MOVL  A_MASK, AX
	KMOVW AX, K1
	SHRL  $16, AX
	KMOVW AX, K2
whole:
	MOVQ  A_RS, AX
	MOVQ  A_BS, CX
	MOVQ  A_STEP, R9
	MOVQ  R9, R10
	IMULQ CX, R10
	SHLQ  $2, R9
	MOVQ  AX, R11
	SHLQ  $4, R11
	MOVQ  b-16(SP), BX
	LEAQ  64(BX), DX
	ZERO0
	ZERO1
	KORTESTW K2, K2
	JZ    narrow
	CMPL  A_ROWS, $16
	JLE   wideLow
	ZERO2
	ZERO3
	SEGMENTS(segment22, step22, LOAD_A0; LOAD_B0; LOAD_B1; LOAD_A1; DOT00; DOT01; DOT10; DOT11)
	JMP   done
wideLow:
	SEGMENTS(segment12, step12, LOAD_A0; LOAD_B0; LOAD_B1; DOT00; DOT01)
	JMP   done
narrow:
	CMPL  A_ROWS, $16
	JLE   narrowLow
	ZERO2
	ZERO3
	SEGMENTS(segment21, step21, LOAD_A0; LOAD_B0; LOAD_A1; DOT00; DOT10)
	JMP   done
narrowLow:
	SEGMENTS(segment11, step11, LOAD_A0; LOAD_B0; DOT00)

done:
	// Straight to C: alpha is 1, there is nothing to add, and the columns are whole.
	CMPQ  A_ACCUMULATE, $0
	JNE   frame
	CMPQ  A_BIAS, $0
	JNE   frame
	CMPL  A_ALPHA, $0x3f800000
	JNE   frame
	KORTESTW K2, K2 // the carry: all ones
	JCC   frame
	MOVQ  c-24(SP), SI
	MOVQ  A_CS, AX
	LEAQ  64(SI), DI
	STORE0
	STORE1
	CMPL  A_ROWS, $16
	JLE   next
	MOVQ  AX, R11
	SHLQ  $4, R11
	ADDQ  R11, SI
	ADDQ  R11, DI
	STORE2
	STORE3
	JMP   next

frame:
	LEAQ  tile-4128(SP), SI
	LEAQ  64(SI), DI
	MOVQ  $128, AX
	STORE0
	STORE1
	CMPL  A_ROWS, $16
	JLE   stored
	ADDQ  $2048, SI
	ADDQ  $2048, DI
	STORE2
	STORE3
stored:
	LEAQ  tile-4128(SP), SI
	MOVQ  c-24(SP), DI
	MOVQ  A_CS, CX
	MOVL  A_ROWS, R13
	VBROADCASTSS A_ALPHA, Z28
	VBROADCASTSS A_BETA, Z29
	VPXORD Z30, Z30, Z30
	VPXORD Z31, Z31, Z31
	MOVQ  bias-32(SP), AX
	TESTQ AX, AX
	JZ    unbiased
	VMOVUPS.Z (AX), K1, Z30
	VMOVUPS.Z 64(AX), K2, Z31
unbiased:
	CMPQ  A_ACCUMULATE, $0
	JNE   add
row:
	VMOVUPS (SI), Z0
	VMOVUPS 64(SI), Z1
	VFMADD213PS Z30, Z28, Z0
	VFMADD213PS Z31, Z28, Z1
	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z1, K2, 64(DI)
	ADDQ  $128, SI
	ADDQ  CX, DI
	DECL  R13
	JNZ   row
	JMP   next
add:
	VMOVUPS (SI), Z0
	VMOVUPS 64(SI), Z1
	VMOVUPS.Z (DI), K1, Z2
	VMOVUPS.Z 64(DI), K2, Z3
	VFMADD213PS Z30, Z28, Z0
	VFMADD213PS Z31, Z28, Z1
	VFMADD231PS Z29, Z2, Z0
	VFMADD231PS Z29, Z3, Z1
	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z1, K2, 64(DI)
	ADDQ  $128, SI
	ADDQ  CX, DI
	DECL  R13
	JNZ   add

next:
	MOVQ  A_PANEL, AX
	ADDQ  AX, b-16(SP)
	ADDQ  $128, c-24(SP)
	CMPQ  A_BIAS, $0
	JEQ   last
	ADDQ  $128, bias-32(SP)
last:
	DECQ  panels-8(SP)
	JNZ   panel
	TILERELEASE
	VZEROUPPER
	RET
