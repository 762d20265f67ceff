/* A C program that calls a quantizer and its gradient on an NVIDIA GPU:
 *
 *   qopt-compile examples/pact_backward.mlir --target=cuda:sm_90 \
 *     -o libpact.so --header=pact.h
 *   cc examples/c/pact_cuda.c -I. -I/usr/local/cuda/include -L. -lpact -lcuda \
 *     -Wl,-rpath,. -o pact && ./pact
 */
#include "pact.h"

#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>

static CUstream stream; /* the default one */

static void check(CUresult code) {
  const char *text = "unknown error";
  if (code == CUDA_SUCCESS)
    return;
  cuGetErrorString(code, &text);
  fprintf(stderr, "%s\n", text);
  exit(1);
}

static float *allocate(int n) {
  CUdeviceptr device;
  check(cuMemAllocAsync(&device, n * sizeof(float), stream));
  return (float *)device;
}

static float *upload(const float *host, int n) {
  float *device = allocate(n);
  check(
      cuMemcpyHtoDAsync((CUdeviceptr)device, host, n * sizeof(float), stream));
  return device;
}

static void download(float *host, float *device, int n) {
  check(
      cuMemcpyDtoHAsync(host, (CUdeviceptr)device, n * sizeof(float), stream));
  check(cuMemFreeAsync((CUdeviceptr)device, stream));
}

int main(void) {
  const float x[] = {-1, 0.5f, 1, 2, 3}, dy[] = {1, 1, 1, 1, 1}, alpha = 2;
  float y[5], dx[5], dalpha;
  CUdevice device;
  CUcontext context;
  check(cuInit(0));
  check(cuDeviceGet(&device, 0));
  check(cuDevicePrimaryCtxRetain(&context, device));
  check(cuCtxSetCurrent(context));

  float *gx = upload(x, 5), *galpha = upload(&alpha, 1), *gdy = upload(dy, 5);
  float *gy = allocate(5), *gdx = allocate(5), *gdalpha = allocate(1);
  /* Puts kernels on the stream, and comes back at once. */
  int error = pact_backward(gx, 5, galpha, gdy, 5, gy, gdx, gdalpha, stream);
  if (error) {
    fprintf(stderr, "%s\n", libpact_error(error));
    return 1;
  }
  download(y, gy, 5);
  download(dx, gdx, 5);
  download(&dalpha, gdalpha, 1);
  check(cuMemFreeAsync((CUdeviceptr)gx, stream));
  check(cuMemFreeAsync((CUdeviceptr)galpha, stream));
  check(cuMemFreeAsync((CUdeviceptr)gdy, stream));
  check(cuStreamSynchronize(stream));
  for (int i = 0; i < 5; ++i)
    printf("x %4g  y %.4f  dx %g\n", x[i], y[i], dx[i]);
  printf("dalpha %g\n", dalpha);
  return 0;
}
