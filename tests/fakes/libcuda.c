/* A stand-in for NVIDIA's driver library on a machine without a card: new enough, and without a device (CUDA_ERROR_NO_DEVICE is 100). */

int cuInit(unsigned int flags) {
  (void)flags;
  return 100;
}

int cuDriverGetVersion(int *version) {
  *version = 13010;
  return 0;
}

/* CUDA's runtime looks the driver's functions up by this one. */
int cuGetProcAddress_v2(const char *symbol, void **function, int version, unsigned long long flags, int *status) {
  (void)version, (void)flags;
  const char *wanted = "cuDriverGetVersion";
  while (*wanted != 0 && *wanted == *symbol) wanted++, symbol++;
  *function = *wanted == *symbol ? (void *)cuDriverGetVersion : (void *)cuInit;
  if (status != 0) *status = 0;
  return 0;
}

/* ONNX Runtime's CUDA provider is linked to it. */
int cuTensorMapEncodeTiled(void) { return 100; }
