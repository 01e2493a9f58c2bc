/**
 * Lines of the documentation that need a whole machine: they are run on one that was booted with its own systemd, as
 * root, in this order, as they stand there. `docs-guest.ts` makes what they speak of.
 */

export interface MachineLine {
  /** As in the documentation. */
  readonly line: string
  /** Where it stands for something (VERSION), or goes on with what the sentence speaks of: what is run instead. */
  readonly run?: string
  /** It must say this; it only looks, and is asked again until it does. Absent = it is run once, and must end well. */
  readonly says?: RegExp
}

const socket = 'curl --unix-socket /run/hostmesh/admin.sock'
const unit = 'systemctl kill'
const log = '/var/log/hostmesh/access.log'
/** A line of the access log in its file, within 10 s. */
const isLogged = `for i in $(seq 100); do curl -so /dev/null http://127.0.0.1:20000/; test -s ${log} && exit 0; sleep 0.1; done; exit 1`

/** Of a release. */
export const installing: readonly MachineLine[] = [
  { line: 'tar xzf hostmesh-*.tar.gz' },
  {
    line: 'export PATH="$PWD/$(ls -d hostmesh-*/ | head -1)bin:$PATH"',
    run: 'export PATH="$PWD/$(ls -d hostmesh-*/ | head -1)bin:$PATH"; hostmesh --version',
    says: /^\d+\.\d+\.\d+$/m,
  },
  { line: 'useradd --system hostmesh' },
  { line: 'apt install ./hostmesh_VERSION_amd64.deb', run: 'apt install -y ./hostmesh_0.1.0_amd64.deb' },
]

/** Once it is configured. */
export const starting: readonly MachineLine[] = [
  { line: 'openssl rand -base64 48', says: /^\S{64}$/m },
  { line: 'openssl rand -hex 32', says: /^[0-9a-f]{64}$/m },
  { line: 'openssl rand -base64 48 > /etc/hostmesh/relay.secret' },
  { line: 'chown hostmesh', run: 'chown hostmesh /etc/hostmesh/relay.secret' },
  { line: 'chmod 600', run: 'chmod 600 /etc/hostmesh/relay.secret' },
  { line: 'runuser -u hostmesh hostmesh check', says: /agent\.yaml: good/ },
  { line: 'systemctl enable --now hostmesh' },
]

/** While agent and center serve. */
export const running: readonly MachineLine[] = [
  { line: 'systemctl status hostmesh', says: /active \(running\)/ },
  { line: 'df -h /var/lib/hostmesh', says: /Mounted on/ },
  { line: 'uptime', says: /load average/ },
  { line: "curl -si -H 'x-mesh-service: orders' http://127.0.0.1:15001/v1/items", says: /^HTTP\/1\.1 200/ },
  { line: 'curl --http2-prior-knowledge http://127.0.0.1:20000/', says: /orders/ },
  {
    line: "curl --unix-socket /run/hostmesh-apps/outbound.sock -H 'x-mesh-service: orders' http://mesh/hello",
    says: /orders/,
  },
  {
    line: `${socket} http://admin/applications -H 'content-type: application/json' -d '{"service":"orders","port":8080,"check":{"http":"/health"}}'`,
    says: /orders/,
  },
  { line: `${socket} -X DELETE 'http://admin/applications?service=orders&port=8080'`, says: /"id"/ },
  { line: `${socket} http://admin/apis/networking.istio.io/v1/serviceentries`, says: /ServiceEntryList/ },
  { line: 'journalctl -u hostmesh HOSTMESH_CODE=E_LISTEN_IN_USE -o json', says: /"HOSTMESH_CODE":"E_LISTEN_IN_USE"/ },
  { line: 'journalctl -u hostmesh -p warning --since -1h', says: /E_LISTEN_IN_USE/ },
  { line: 'journalctl -u hostmesh -p warning -n 20', says: /E_LISTEN_IN_USE/ },
  { line: 'journalctl -u hostmesh -p warning -n 50', says: /E_LISTEN_IN_USE/ },
  { line: 'journalctl -u hostmesh -p warning -n 100', says: /E_LISTEN_IN_USE/ },
  { line: 'journalctl -u hostmesh -n 50', says: /hostmesh/ },
  { line: 'journalctl -u hostmesh -n 100', says: /hostmesh/ },
  { line: 'journalctl -u hostmesh HOSTMESH_PROCESS=worker HOSTMESH_INDEX=1', says: /hostmesh/ },
  { line: 'systemctl enable --now hostmesh-center' },
  { line: 'kubectl config set-cluster mesh --server=https://10.0.0.8:15016 --certificate-authority=ca.crt' },
  { line: 'kubectl config set-credentials alice --token="$(cat alice.token)"' },
  { line: 'kubectl config set-context mesh --cluster=mesh --user=alice' },
  { line: 'kubectl --context=mesh apply -f rules.yaml', says: /orders (created|unchanged)/ },
  { line: 'kubectl --context=mesh get vs,dr -A', says: /orders/ },
  { line: 'kubectl --context=mesh get hosts -o yaml', says: /kind: List/ },
  { line: 'systemctl enable --now hostmesh-drill.timer' },
  {
    line: 'systemd-analyze security --offline=true',
    run: 'systemd-analyze security --offline=true /lib/systemd/system/hostmesh.service',
    says: /Overall exposure level/,
  },
  {
    line: `${unit} -s USR1 --kill-who=main hostmesh`,
    run: `mv ${log} ${log}.1 && ${unit} -s USR1 --kill-who=main hostmesh && ${isLogged}`,
  },
  { line: 'systemctl reload hostmesh' },
  { line: `${unit} --kill-who=main --signal=SIGKILL hostmesh` },
  { line: 'systemctl start hostmesh' },
  { line: 'systemctl restart', run: 'systemctl restart hostmesh' },
  { line: 'apt install ./hostmesh_NEW_amd64.deb', run: 'apt install -y ./hostmesh_0.1.1_amd64.deb' },
]

export const removing: readonly MachineLine[] = [
  { line: 'systemctl disable --now hostmesh' },
  { line: 'apt remove hostmesh', run: 'apt remove -y hostmesh' },
  { line: 'apt purge', run: 'apt purge -y hostmesh' },
]

export const machineLines: readonly MachineLine[] = [...installing, ...starting, ...running, ...removing]
