<?php
switch ($_GET['answer']) {
    case 'redirect': header('Location: /elsewhere?a=b'); break;
    case 'missing': http_response_code(404); echo 'no'; break;
    case 'empty': http_response_code(204); break;
    case 'file': header('Content-Type: text/x-own'); header('X-Sendfile: ' . $_GET['path']); break;
    case 'log': error_log("said \x1b[31m here\nand there"); echo 'logged'; break;
    case 'die': exec('kill -9 ' . getmypid());
    case 'pid': echo getmypid(), "\n"; flush(); sleep(600);
}
