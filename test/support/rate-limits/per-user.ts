/** Calls of `orders` are counted by `x-user`, at a rate-limit service that the host calls `limits`. */
export const perUserLimits = `apiVersion: hostmesh.io/v1
kind: MeshPolicy
metadata: { name: users }
spec:
  hosts: [orders]
  globalRateLimits:
    - name: per-user
      provider: limits
      domain: shop
      descriptors:
        - actions: [{ requestHeaders: { headerName: x-user, descriptorKey: user } }]
`
