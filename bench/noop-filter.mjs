export default () => ({ onRequestHead() {}, onReplyHead() {} })
