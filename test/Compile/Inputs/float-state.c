#include "float-state.h"
#include <fenv.h>
#include <stdio.h>
#include <xmmintrin.h>

int main(void) {
  float tenth = 0.1f, third = 3, small = 1e-40f, quotient, half;
  fesetround(FE_UPWARD);
  unsigned state = _mm_getcsr() | 0x8040; // flush to zero, denormals are zero
  _mm_setcsr(state);
  int error = divide(&tenth, &third, &quotient) | divide(&small, &third, &half);
  printf("%d %d ", error, (_mm_getcsr() & ~0x3fu) == (state & ~0x3fu));
  _mm_setcsr(0x1f80);
  printf("%d %d\n", quotient == tenth / third, half == small / third && half > 0);
  return 0;
}
